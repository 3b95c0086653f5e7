{{- define "modelpress.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "modelpress.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "modelpress.labels" -}}
{{ include "modelpress.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "modelpress.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "modelpress.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "modelpress.pod" -}}
serviceAccountName: {{ .Values.serviceAccount.name }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "modelpress.podSecurity" . | nindent 2 }}
{{- end }}

{{- define "modelpress.databaseEnv" -}}
- name: MODELPRESS_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ required "database.existingSecret is needed" .Values.database.existingSecret }}, key: {{ .Values.database.key }}}}
{{- end }}

{{- define "modelpress.env" -}}
{{ include "modelpress.databaseEnv" . }}
- name: MODELPRESS_BROKER_URL
  valueFrom: {secretKeyRef: {name: {{ required "broker.existingSecret is needed" .Values.broker.existingSecret }}, key: {{ .Values.broker.key }}}}
- {name: HOME, value: /tmp}  # libraries keep their caches there: the image itself is read only
{{- with .Values.blobs.existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end }}

{{- define "modelpress.data" -}}
{{- if .Values.persistence.enabled -}}
persistentVolumeClaim: {claimName: {{ .Values.persistence.existingClaim | default (printf "%s-data" (include "modelpress.name" .)) }}}
{{- else -}}
emptyDir: {}
{{- end }}
{{- end }}
