// How values are shown: the same roundings as in the reports (service/reports/show.py).

export const MISSING = "–";

/** To `digits` significant digits, thousands grouped, never in scientific notation. */
export function significant(value, digits = 3) {
  if (value === 0) return "0";
  let exponent = Math.floor(Math.log10(Math.abs(value)));
  const scale = 10 ** (digits - 1 - exponent);
  if (Math.abs(Math.round(value * scale)) >= 10 ** digits) exponent += 1;
  const decimals = Math.min(20, Math.max(0, digits - 1 - exponent));
  return value
    .toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
    .replace("-", "−");
}

export const percent = (value) => `${(100 * value).toFixed(2)} %`;

const SCALES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

function scaled(value) {
  for (const [scale, prefix] of SCALES) {
    if (Math.abs(value) >= scale * 0.9995) return `${significant(value / scale)} ${prefix}`;
  }
  return `${Math.round(value).toLocaleString("en-US")} `;
}

export const count = (value) =>
  Math.abs(value) < 1e7 ? Math.round(value).toLocaleString("en-US") : scaled(value).trimEnd();

/** Bytes in decimal multiples. */
export const size = (value) => `${scaled(value)}B`;

export function duration(seconds) {
  if (seconds < 120) return `${significant(seconds)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 120) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** How long ago, in its largest unit. */
export function age(moment) {
  const seconds = Math.max(0, (Date.now() - Date.parse(moment)) / 1000);
  for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= unit) return `${Math.floor(seconds / unit)} ${name}`;
  }
  return `${Math.floor(seconds)} s`;
}

/** A text for a template literal that becomes HTML. */
export function escape(text) {
  return String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
