"use strict";
// One input, data kept exactly (lam = 0): the same rules as knotwork.uniqueness and SolutionSet.
const knotworkPlayground = (() => {
  const norm = (v) => Math.sqrt(v.reduce((sum, one) => sum + one * one, 0));
  const minus = (a, b) => a.map((one, t) => one - b[t]);
  const plus = (a, b) => a.map((one, t) => one + b[t]);

  function angle(u, v) {
    const a = u.map((one) => one / norm(u)), b = v.map((one) => one / norm(v));
    return 2 * Math.atan2(norm(minus(a, b)), norm(plus(a, b)));
  }

  // x: n increasing numbers; Y: n rows of T labels. unique is null where rounding leaves it open.
  function analyse(x, Y, tol = 1e-5, sizeTol = 1e-9) {
    const n = x.length, single = Y[0].length === 1;
    const slopes = x.slice(1).map((at, i) => minus(Y[i + 1], Y[i]).map((rise) => rise / (at - x[i])));
    const change = slopes.slice(1).map((slope, i) => minus(slope, slopes[i]));
    const largest = Math.max(...Y.flat().map(Math.abs));
    const error = change.map((_, i) =>
      4 * Number.EPSILON * largest * (1 / (x[i + 1] - x[i]) + 1 / (x[i + 2] - x[i + 1])));
    const size = change.map(norm);
    const least = sizeTol * Math.max(0, ...size);
    const bends = size.map((one, i) => one > error[i] && one > least);
    const off = size.map((one, i) => Math.asin(Math.min(one > 0 ? error[i] / one : 1, 1)));
    const aligned = [];
    let open = 0;
    for (let i = 0; i + 1 < change.length; i++) {
      const both = bends[i] && bends[i + 1];
      let same = false, differs = false;
      if (both && single) {
        same = Math.sign(change[i][0]) === Math.sign(change[i + 1][0]);
        differs = !same;
      } else if (both) {
        const between = angle(change[i + 1], change[i]), slack = off[i] + off[i + 1];
        same = between + slack <= tol;
        differs = between - slack > tol;
      }
      aligned.push(both && same && !differs);
      open += both && !differs && !aligned[i] ? 1 : 0;
    }
    const bent = change.flatMap((_, i) => (size[i] > 0 ? [i] : []));
    const knots = bent.map((i) => ({ place: x[i + 1], jump: change[i], mass: size[i], at: i + 1 }));
    const flat = knots.slice(1).map((_, k) => aligned[knots[k].at - 1]);
    const intervals = flat.flatMap((free, k) => (free ? [[knots[k].place, knots[k + 1].place]] : []));
    const ends = [0, ...knots.map((knot) => knot.at), n - 1];
    const nodes = ends.map((i) => ({ x: x[i], y: Y[i] }));
    return { unique: intervals.length ? false : open ? null : true, intervals, knots, flat, nodes };
  }

  // Unit vector between two knots along which solutions sag there.
  function along(left, right) {
    const sum = left.jump.map((one, t) => one / left.mass + right.jump[t] / right.mass);
    return sum.map((one) => one / norm(sum));
  }

  // [least, greatest] value of task t at a place, over all solutions.
  function envelope(found, t, at) {
    const { nodes, knots, flat } = found;
    let cell = 0;
    while (cell < nodes.length - 2 && nodes[cell + 1].x <= at) cell++;
    const [p, q] = [nodes[cell], nodes[cell + 1]], share = (at - p.x) / (q.x - p.x);
    const base = (1 - share) * p.y[t] + share * q.y[t];
    const left = knots[cell - 1], right = knots[cell];
    if (!left || !right || !flat[cell - 1] || at <= left.place || at >= right.place) return [base, base];
    const depth = Math.min(left.mass * (at - left.place), right.mass * (right.place - at));
    const sag = -depth * along(left, right)[t];
    return [base + Math.min(sag, 0), base + Math.max(sag, 0)];
  }

  // Where the two lines that go on from either side meet, for every free interval: the tips of the bands.
  function tips(found, t) {
    return found.flat.flatMap((free, k) => {
      if (!free) return [];
      const [left, right] = [found.knots[k], found.knots[k + 1]];
      const at = (left.mass * left.place + right.mass * right.place) / (left.mass + right.mass);
      const [low, high] = envelope(found, t, at);
      const ends = [found.nodes[k + 1], found.nodes[k + 2]];
      const sag = along(left, right)[t] > 0 ? low : high;
      return [[[ends[0].x, ends[0].y[t]], [at, sag], [ends[1].x, ends[1].y[t]]]];
    });
  }

  const WIDE = 440, LANE = 190, PAD = 16, STEP = { x: 0.025, y: 0.05 }, GAP = 0.02;
  const START = {
    x: [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95],
    y: [[0.6, 0.1], [-0.1, -0.5], [-0.45, 0.05], [-0.5, 0.5], [-0.3, 0.6], [0.1, 0.2], [0.7, -0.6]],
  };
  // every slope change points along (1, -0.6): two tasks that share all they have
  const ALONG = { x: START.x, y: START.y.map(([one]) => [one, -0.6 * one]) };

  function build(host) {
    const make = (tag, parent, attributes) => {
      const svg = ["svg", "path", "circle", "text", "line", "rect"].includes(tag);
      const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      parent.append(node);
      return node;
    };
    let data, tol = 1e-5;
    const controls = make("div", host, { class: "controls" });
    const choices = { "several alone, one together": () => START, "several together": () => ALONG, random };
    for (const [name, of] of Object.entries(choices)) {
      const button = make("button", controls, { type: "button" });
      button.textContent = name;
      button.addEventListener("click", () => { data = structuredClone(of()); draw(); });
    }
    const label = make("label", controls, {});
    const said = make("span", label, {});
    const slider = make("input", label, { type: "range", min: -5, max: -0.5, step: 0.25, value: -5 });
    slider.addEventListener("input", () => { tol = 10 ** Number(slider.value); draw(); });
    const picture = make("svg", host, {
      viewBox: `0 0 ${WIDE} ${2 * LANE + 110}`, role: "group",
      "aria-label": "The points of two tasks, to be moved with a pointer or the arrow keys",
    });
    const lanes = [0, 1].map((t) => {
      make("text", picture, { x: PAD, y: t * LANE + 14 }).textContent = `task ${t + 1}`;
      const lane = make("svg", picture, { x: 0, y: t * LANE + 16, width: WIDE, height: LANE - 16 });
      make("rect", lane, { class: "axis", x: 0.5, y: 0.5, width: WIDE - 1, height: LANE - 17 });
      return {
        alone: make("path", lane, { class: "alone" }), joint: make("path", lane, { class: "joint" }),
        line: make("path", lane, { class: "line" }), grips: START.x.map((_, i) => grip(lane, t, i)),
      };
    });
    const foot = 2 * LANE + 16;
    make("text", picture, { x: PAD, y: foot }).textContent = "slope changes: task 1 across, task 2 up";
    const arrows = START.x.slice(2).map(() => make("path", picture, { class: "arrow" }));
    const told = make("ul", host, { class: "told", "aria-live": "polite" });
    const lines = ["Task 1 alone", "Task 2 alone", "Both together"].map((name) => {
      const line = make("li", told, {});
      make("strong", line, {}).textContent = `${name}: `;
      return make("span", line, {});
    });

    const px = (x) => PAD + x * (WIDE - 2 * PAD), py = (y) => (LANE - 16) / 2 - y * (LANE - 16 - 2 * PAD) / 2;
    const path = (points) => "M" + points.map(([x, y]) => `${px(x).toFixed(2)} ${py(y).toFixed(2)}`).join("L");
    const bands = (found, t) => tips(found, t).map((points) => `${path(points)}z`).join("");

    function random() {
      const x = START.x.map((at) => at + 0.05 * (Math.random() - 0.5));
      return { x, y: x.map(() => [0, 0].map(() => 1.6 * Math.random() - 0.8)) };
    }

    function grip(lane, t, i) {
      const hold = make("circle", lane, { class: "grip", r: 17, tabindex: 0, role: "button" });
      const dot = make("circle", lane, { class: "dot", r: 6 });
      hold.addEventListener("pointerdown", (event) => { hold.setPointerCapture(event.pointerId); event.preventDefault(); hold.focus(); });
      hold.addEventListener("pointermove", (event) => {
        if (!hold.hasPointerCapture(event.pointerId)) return;
        const box = picture.getBoundingClientRect(), scale = WIDE / box.width;
        const x = ((event.clientX - box.left) * scale - PAD) / (WIDE - 2 * PAD);
        const y = ((LANE - 16) / 2 + t * LANE + 16 - (event.clientY - box.top) * scale) * 2 / (LANE - 16 - 2 * PAD);
        move(t, i, STEP.x * Math.round(x / STEP.x), STEP.y * Math.round(y / STEP.y));
      });
      hold.addEventListener("keydown", (event) => {
        const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
        if (!dx && !dy) return;
        event.preventDefault();
        const small = event.shiftKey ? 0.2 : 1;
        move(t, i, data.x[i] + small * dx * STEP.x, data.y[i][t] + small * dy * STEP.y);
      });
      return { hold, dot };
    }

    function move(t, i, x, y) {
      const low = i ? data.x[i - 1] + GAP : 0, high = i + 1 < data.x.length ? data.x[i + 1] - GAP : 1;
      data.x[i] = Math.min(Math.max(x, low), high);
      data.y[i][t] = Math.min(Math.max(y, -1), 1);
      draw();
    }

    function draw() {
      const both = analyse(data.x, data.y, tol);
      const alone = [0, 1].map((t) => analyse(data.x, data.y.map((row) => [row[t]]), tol));
      lanes.forEach(({ alone: single, joint, line, grips }, t) => {
        single.setAttribute("d", bands(alone[t], 0));
        joint.setAttribute("d", bands(both, t));
        line.setAttribute("d", path(data.x.map((x, i) => [x, data.y[i][t]])));
        grips.forEach(({ hold, dot }, i) => {
          for (const circle of [hold, dot]) {
            circle.setAttribute("cx", px(data.x[i]));
            circle.setAttribute("cy", py(data.y[i][t]));
          }
          hold.setAttribute("aria-label", `task ${t + 1}, point ${i + 1}: x ${data.x[i].toFixed(3)}, y ${data.y[i][t].toFixed(3)}`);
        });
      });
      arrows.forEach((arrow, i) => {
        const knot = both.knots.find(({ at }) => at === i + 1), mid = foot + 50, at = px(data.x[i + 1]);
        const free = knot && both.intervals.some((ends) => ends.includes(knot.place));
        const [u, v] = knot ? knot.jump.map((one) => 32 * one / knot.mass) : [0, 0];
        const back = (turn) => `${at + 0.7 * u - 0.18 * turn * v} ${mid - 0.7 * v - 0.18 * turn * u}`;
        arrow.setAttribute("d", `M${at} ${mid}L${at + u} ${mid - v}M${back(1)}L${at + u} ${mid - v}L${back(-1)}`);
        arrow.setAttribute("class", free ? "arrow aligned" : "arrow");
      });
      [...alone, both].forEach(({ unique, intervals }, k) => {
        const some = `many solutions, which differ on ${intervals.length} interval${intervals.length === 1 ? "" : "s"}`;
        lines[k].textContent = unique ? "one solution" : unique === null ? "not decided at this precision" : some;
      });
      said.textContent = `counted as aligned: up to ${tol.toPrecision(2)} rad `;
    }
    data = structuredClone(START);
    draw();
  }

  for (const host of document.querySelectorAll("[data-playground]")) build(host);
  return { analyse, envelope };
})();
