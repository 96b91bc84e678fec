// SPDX-License-Identifier: Apache-2.0
// Draws solids with WebGL: each is a list of triangles and a colour, and has a place that changes.
"use strict";

const VERTEX = `
attribute vec3 point, normal; uniform mat4 view; uniform mat3 turn; uniform vec3 place; varying vec3 facing, world;
void main() { facing = turn * normal; world = turn * point + place; gl_Position = view * vec4(world, 1.0); }`;
const FRAGMENT = `
precision highp float; varying vec3 facing, world; uniform vec4 colour; uniform float squares;
void main() {
  float light = 0.45 + 0.55 * abs(dot(normalize(facing), normalize(vec3(0.3, -0.7, 0.65))));
  vec3 cell = floor(world + 0.001);
  if (squares > 0.0 && mod(cell.x + cell.y + cell.z, 2.0) < 0.5) light *= 0.82;  // of a metre, so that motion shows
  gl_FragColor = vec4(colour.rgb * light, colour.a);
}`;

function numbers(text, Kind = Float32Array) {
  return new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

class Scene {
  constructor(canvas, solids) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl", { preserveDrawingBuffer: true, antialias: true });
    this.turn = -Math.PI / 2; this.lift = 0.15; this.distance = null; this.middle = [0, 0, 0];
    this.follow = null; this.places = null;
    if (!this.gl) return;
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source); gl.compileShader(shader); gl.attachShader(program, shader);
    }
    gl.linkProgram(program); gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    this.point = gl.getAttribLocation(program, "point"); this.normal = gl.getAttribLocation(program, "normal");
    gl.enableVertexAttribArray(this.point); gl.enableVertexAttribArray(this.normal);
    gl.enable(gl.DEPTH_TEST);
    this.solids = solids.map((solid) => {
      const points = numbers(solid.triangles), normals = numbers(solid.normals);
      const upload = (data) => {
        const buffer = gl.createBuffer();
        gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
        return buffer;
      };
      const wide = points.length === 18 && Math.abs(points[0]) >= 5;
      return { rgba: solid.rgba, wide, plane: points.length === 18, n: points.length / 3, corners: points,
               points: upload(points), normals: upload(normals) };
    });
    this.listen();
  }

  listen() {
    let from = null;
    this.canvas.addEventListener("pointerdown", (e) => { from = [e.clientX, e.clientY]; this.canvas.setPointerCapture(e.pointerId); });
    this.canvas.addEventListener("pointerup", () => { from = null; });
    this.canvas.addEventListener("pointermove", (e) => {
      if (!from) return;
      this.turn -= (e.clientX - from[0]) * 0.01;
      this.lift = Math.max(-1.5, Math.min(1.5, this.lift + (e.clientY - from[1]) * 0.01));
      from = [e.clientX, e.clientY]; this.draw();
    });
    this.canvas.addEventListener("wheel", (e) => { this.distance *= Math.exp(e.deltaY * 0.001); this.draw(); e.preventDefault(); }, { passive: false });
  }

  // Look at all that is no plane, from the front; then keep the middle of what moves in sight.
  frame() {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    this.solids.forEach((solid, i) => {
      if (solid.plane) return;
      const p = this.places.subarray(12 * i, 12 * i + 12), c = solid.corners;
      for (let j = 0; j < c.length; j += 3) for (let k = 0; k < 3; k++) {
        const at = p[k] + p[3 + 3 * k] * c[j] + p[4 + 3 * k] * c[j + 1] + p[5 + 3 * k] * c[j + 2];
        low[k] = Math.min(low[k], at); high[k] = Math.max(high[k], at);
      }
    });
    if (low[0] > high[0]) { low.fill(-1); high.fill(1); }
    this.middle = low.map((l, k) => (l + high[k]) / 2);
    const half = low.map((l, k) => (high[k] - l) / 2), aspect = this.canvas.width / this.canvas.height;
    this.distance = 1.2 * Math.max(half[0] / aspect, 1.5 * half[2]) / Math.tan(0.4) + half[1];
    const last = this.solids.length - 1;
    this.follow = this.middle.map((m, k) => m - this.places[12 * last + k]);
  }

  matrix() {
    const [ct, st, cl, sl] = [Math.cos(this.turn), Math.sin(this.turn), Math.cos(this.lift), Math.sin(this.lift)];
    const back = [ct * cl, st * cl, sl], right = [-st, ct, 0], up = [-ct * sl, -st * sl, cl];
    const eye = this.middle.map((m, k) => m + this.distance * back[k]);
    const f = 1 / Math.tan(0.4), a = this.canvas.width / this.canvas.height, near = 0.02, far = 100;
    const dot = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    const m = [];
    for (let k = 0; k < 3; k++) {
      m.push(f / a * right[k], f * up[k], -(far + near) / (far - near) * -back[k] * -1, -back[k]);
    }
    const z = -dot(back, eye);  // of the world's origin before the camera
    m.push(-f / a * dot(right, eye), -f * dot(up, eye), -(far + near) / (far - near) * z - 2 * far * near / (far - near), -z);
    return new Float32Array(m);
  }

  show(places) {
    this.places = places;
    if (!this.gl) return;
    if (this.distance === null) this.frame();
    // what runs away is followed, sideways
    const last = this.solids.length - 1, x = places[12 * last] + this.follow[0], away = x - this.middle[0];
    this.middle[0] += Math.sign(away) * Math.max(0, Math.abs(away) - 0.3 * this.distance);
    this.draw();
  }

  draw() {
    const gl = this.gl;
    if (!gl || !this.places) return;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0.17, 0.21, 0.27, 1); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniformMatrix4fv(this.at("view"), false, this.matrix());
    this.solids.forEach((solid, i) => {
      const p = this.places.subarray(12 * i, 12 * i + 3), r = this.places.subarray(12 * i + 3, 12 * i + 12);
      // a floor has no end, as far as people can see
      gl.uniform3fv(this.at("place"), solid.wide ? [this.middle[0], this.middle[1], p[2]] : p);
      gl.uniform1f(this.at("squares"), solid.wide ? 1 : 0);
      gl.uniformMatrix3fv(this.at("turn"), false, new Float32Array([r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8]]));
      gl.uniform4fv(this.at("colour"), solid.rgba);
      for (const [where, buffer] of [[this.point, solid.points], [this.normal, solid.normals]]) {
        gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.vertexAttribPointer(where, 3, gl.FLOAT, false, 0, 0);
      }
      gl.drawArrays(gl.TRIANGLES, 0, solid.n);
    });
  }

  // Wait until the picture is drawn.
  finish() {
    if (this.gl) this.gl.finish();
  }

  // Where a point of the world is on the canvas [pixels].
  seen(point) {
    const m = this.matrix(), v = [...point, 1];
    const clip = [0, 1, 2, 3].map((row) => v.reduce((sum, x, k) => sum + m[4 * k + row] * x, 0));
    return [(clip[0] / clip[3] + 1) / 2 * this.canvas.width, (1 - clip[1] / clip[3]) / 2 * this.canvas.height];
  }
}
