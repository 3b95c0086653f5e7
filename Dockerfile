# syntax=docker/dockerfile:1
# Two images of one wheel: `--target api` (no torch) and `--target worker` (torch with CUDA, whose
# libraries come as wheels too: the host brings the driver only).

FROM python:3.11-slim AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE modelpress.py ./
COPY service service
COPY worker worker
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .


# Libraries only: their layer, gigabytes for the worker, is made, pushed and pulled anew when a lock
# changes, not with the code. Every file must have a SHA-256 that the lock names (`make lock`).
FROM python:3.11-slim AS empty
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/modelpress
ENV PATH=/opt/modelpress/bin:$PATH
WORKDIR /src

FROM empty AS api-libraries
COPY requirements-api.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --no-deps --requirement requirements-api.lock \
    && pip check

FROM empty AS worker-libraries
COPY requirements-worker.lock constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --no-deps --requirement requirements-worker.lock
# The torch family is pinned and not locked: its wheels differ with the platform.
# For a worker without a GPU, 4 GB smaller: https://download.pytorch.org/whl/cpu
ARG PIP_EXTRA_INDEX_URL=
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt torch torchvision \
    && pip check

# Writes down what an image holds, and stays outside of it.
FROM python:3.11-slim AS inventory
RUN python -m venv /opt/inventory \
    && /opt/inventory/bin/pip install --no-cache-dir cyclonedx-bom==7.5.0


FROM python:3.11-slim AS runtime
# One number in both images: they share the files of a volume.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin modelpress \
    && install --directory --owner=modelpress --group=modelpress --mode=0700 /data
ENV PATH=/opt/modelpress/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MODELPRESS_DATA_DIR=/data
WORKDIR /data
ENTRYPOINT ["modelpress"]


FROM runtime AS api
COPY --from=api-libraries /opt/modelpress /opt/modelpress
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-deps --no-index /wheels/*.whl
# SBOM: CycloneDX
RUN --mount=type=bind,from=inventory,source=/opt/inventory,target=/opt/inventory \
    /opt/inventory/bin/cyclonedx-py environment --output-reproducible \
    --output-file /opt/modelpress/sbom.cdx.json /opt/modelpress/bin/python
USER 10001
EXPOSE 8000
# Alive, not ready: a database that is away is no reason to restart the API.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
CMD ["api", "--host", "0.0.0.0", "--port", "8000"]


FROM runtime AS worker
COPY --from=worker-libraries /opt/modelpress /opt/modelpress
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-deps --no-index /wheels/*.whl
# SBOM: CycloneDX
RUN --mount=type=bind,from=inventory,source=/opt/inventory,target=/opt/inventory \
    /opt/inventory/bin/cyclonedx-py environment --output-reproducible \
    --output-file /opt/modelpress/sbom.cdx.json /opt/modelpress/bin/python
# What the NVIDIA runtime mounts from the host: CUDA and nvidia-smi, no graphics.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001
# The first start preloads torch, a matter of seconds on a cold disk.
HEALTHCHECK --interval=15s --timeout=10s --start-period=90s --retries=3 \
    CMD ["modelpress", "worker-health"]
CMD ["worker"]
