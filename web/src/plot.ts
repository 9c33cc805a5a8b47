// Points by WebGL: one buffer, drawn in one call. It knows no items and no page.
import * as twgl from "twgl.js";

const VERTEX = `#version 300 es
in vec2 place;
in float code;
uniform vec2 scale, shift;
uniform float size;
uniform sampler2D palette;
out vec4 colour;
void main() {
  colour = texelFetch(palette, ivec2(int(code * 255.0 + 0.5), 0), 0);
  gl_Position = vec4(place * scale + shift, 0.0, 1.0);
  gl_PointSize = size;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec4 colour;
uniform float size;
out vec4 result;
void main() {
  float alpha = size < 2.5 ? 1.0 : smoothstep(0.5, 0.5 - 1.0 / size, length(gl_PointCoord - 0.5));
  result = colour * alpha;
}`;

export interface Transform {
  k: number;
  x: number;
  y: number;
}

/** Fewer points than these are no map any more. */
const FEWEST = 12_000;
const SLOW_MS = 30;
const QUICK_MS = 18;

export class Plot {
  private readonly gl: WebGL2RenderingContext;
  private readonly program: twgl.ProgramInfo;
  private readonly palette: WebGLTexture;
  private buffers: twgl.BufferInfo | null = null;
  private n = 0;
  private share = 1;
  private last = 0;
  width = 1;
  height = 1;

  constructor(private readonly canvas: HTMLCanvasElement) {
    const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true, alpha: true });
    if (!gl) throw new Error("no WebGL");
    this.gl = gl;
    this.program = twgl.createProgramInfo(gl, [VERTEX, FRAGMENT]);
    this.palette = gl.createTexture()!;
  }

  /** Take points in the order in which they are drawn; any beginning of it must be a fair sample. */
  setPoints(places: Uint16Array, codes: Uint8Array): void {
    this.n = codes.length;
    const arrays = {
      place: { numComponents: 2, data: places, type: this.gl.UNSIGNED_SHORT, normalize: true },
      code: { numComponents: 1, data: codes, normalize: true },
    };
    this.buffers = twgl.createBufferInfoFromArrays(this.gl, arrays);
  }

  setCodes(codes: Uint8Array): void {
    if (this.buffers) twgl.setAttribInfoBufferFromArray(this.gl, this.buffers.attribs!.code, codes);
  }

  /** Take the colour of each of 256 codes, premultiplied. */
  setPalette(colours: Uint8Array): void {
    const gl = this.gl;
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colours);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  }

  resize(width: number, height: number, ratio: number): void {
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
  }

  /** Draw everything; while it moves, as many points as the machine draws in time. */
  draw(at: Transform, isMoving: boolean): void {
    const gl = this.gl;
    if (isMoving) this.pace();
    else this.last = 0;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!this.buffers) return;
    const ratio = gl.canvas.width / this.width;
    const count = isMoving ? Math.max(Math.min(FEWEST, this.n), Math.round(this.n * this.share)) : this.n;
    const crowd = Math.sqrt(Math.min(1, 40_000 / this.n));
    const size = Math.min(9, (1 + 3.2 * crowd) * Math.pow(at.k, 0.36)) * ratio;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(this.program.program);
    twgl.setBuffersAndAttributes(gl, this.program, this.buffers);
    twgl.setUniforms(this.program, {
      // From 0..1 with y upwards, by the page's pixels with y downwards, to -1..1.
      scale: [2 * at.k, 2 * at.k],
      shift: [(2 * at.x) / this.width - 1, 1 - 2 * at.k - (2 * at.y) / this.height],
      size,
      palette: this.palette,
    });
    gl.drawArrays(gl.POINTS, 0, count);
  }

  private pace(): void {
    const now = performance.now();
    const spent = this.last ? now - this.last : 0;
    this.last = now;
    if (spent > 250) return; // it rested meanwhile
    if (spent > SLOW_MS) this.share = Math.max(FEWEST / this.n, this.share * Math.max(0.25, QUICK_MS / spent));
    else if (spent > 0 && spent < QUICK_MS) this.share = Math.min(1, this.share * 1.05);
  }
}
