// A small line chart: white, its present values in words, the top of its scale, and nothing else.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 240;
const HEIGHT = 80;

/** A number in few digits. */
export function short(value) {
  if (!Number.isFinite(value)) {
    return "–";
  }
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    return value.toExponential(1);
  }
  return size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}

/** The next of 1, 2, 5, 10, … times a power of ten. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * power >= value) * power;
}

/** Some lines over the last readings. */
export class Chart {
  element = document.createElement("section");
  #svg = document.createElementNS(SVG, "svg");
  #top = document.createElement("span");
  #lines;
  #length;
  #fixedTop;
  #wide;

  /**
   * @param title what it shows, with the unit
   * @param series their names; one that has none is the title's
   * @param length readings that it holds
   * @param top of its scale; 0 for what the values need
   * @param wide whether fewer readings take the whole width too
   */
  constructor(title, series, length, { top = 0, wide = false } = {}) {
    this.#wide = wide;
    this.#length = length;
    this.#fixedTop = top;
    this.element.className = "chart";
    const heading = document.createElement("h2");
    heading.textContent = title;
    this.#svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.#svg.setAttribute("aria-hidden", "true");
    this.#top.className = "top";
    const values = document.createElement("p");
    values.className = "values";
    this.#lines = series.map((name, i) => this.#line(name, i, values));
    const plot = document.createElement("div");
    plot.className = "plot";
    plot.append(this.#top, this.#svg);
    this.element.append(heading, values, plot);
  }

  #line(name, i, values) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", `line line-${i}`);
    this.#svg.append(path);
    const shown = document.createElement("output");
    const label = document.createElement("span");
    label.className = `value line-${i}`;
    label.append(shown, name === "" ? "" : ` ${name}`);
    values.append(label);
    return { path, shown, points: [] };
  }

  /** One value for each line; null where there is none. */
  push(values) {
    this.#lines.forEach((line, i) => {
      line.points.push(values[i]);
      line.points.splice(0, line.points.length - this.#length);
      line.shown.textContent = short(values[i]);
    });
    this.#draw();
  }

  #draw() {
    const all = this.#lines.flatMap(({ points }) => points).filter(Number.isFinite);
    const low = Math.min(0, ...all);
    const top = this.#fixedTop || roundUp(Math.max(...all, 0) - low || 1) + low;
    this.#top.textContent = short(top);
    for (const { path, points } of this.#lines) {
      const gaps = Math.max(1, (this.#wide ? points.length : this.#length) - 1);
      let drawing = false;
      let d = "";
      points.forEach((value, i) => {
        if (Number.isFinite(value)) {
          const x = WIDTH * (1 - (points.length - 1 - i) / gaps);
          const y = HEIGHT - 1 - (HEIGHT - 2) * Math.min(1, (value - low) / (top - low));
          d += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
        }
        drawing = Number.isFinite(value);
      });
      path.setAttribute("d", d);
    }
  }
}
