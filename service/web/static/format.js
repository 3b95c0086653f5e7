// How values are shown: the same roundings as in the reports (service/reports/show.py).

export const MISSING = "–";

/** With `decimals` decimals, thousands grouped; halves go to the even neighbour, as in Python. */
function fixed(value, decimals) {
  const exact = Math.abs(value).toFixed(60);
  const end = exact.indexOf(".") + (decimals ? decimals + 1 : 0);
  const cut = exact.slice(0, end);
  const isHalf = /^\.?50*$/.test(exact.slice(end));
  const rounded = isHalf && Number(cut.at(-1)) % 2 === 0 ? cut : Math.abs(value).toFixed(decimals);
  const [whole, rest] = rounded.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return (value < 0 ? "-" : "") + (rest === undefined ? grouped : `${grouped}.${rest}`);
}

/** To `digits` significant digits, thousands grouped, never in scientific notation. */
export function significant(value, digits = 3) {
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  let decimals = Math.max(0, digits - 1 - exponent);
  // 9.997 rounds up to 10.0, which has one decimal fewer
  const rounded = Number(fixed(Math.abs(value), decimals).replaceAll(",", ""));
  if (decimals && rounded >= 10 ** (exponent + 1)) decimals -= 1;
  return fixed(value, decimals).replace("-", "−");
}

export const percent = (value) => `${fixed(100 * value, 2).replaceAll(",", "")} %`;

const SCALES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

function scaled(value) {
  for (const [scale, prefix] of SCALES) {
    if (Math.abs(value) >= scale * 0.9995) return `${significant(value / scale)} ${prefix}`;
  }
  return `${fixed(value, 0)} `;
}

export const count = (value) =>
  Math.abs(value) < 1e7 ? fixed(value, 0) : scaled(value).trimEnd();

/** Bytes in decimal multiples. */
export const size = (value) => `${scaled(value)}B`;

export function duration(seconds) {
  if (seconds < 120) return `${significant(seconds)} s`;
  const whole = Number(fixed(seconds, 0).replaceAll(",", ""));
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
