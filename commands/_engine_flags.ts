/** What computes, for `engineOf()`; apart from it, as that loads what help does not need. */
export const engineFlags = {
  engine: {
    type: "string",
    choices: ["auto", "onnx", "tensorflow", "wasm", "cpu", "webgpu"],
    default: "auto",
    help: "what computes; auto is the fastest that is there, webgpu only where it is named",
  },
  provider: {
    type: "string",
    choices: ["auto", "cpu", "cuda", "coreml", "dml", "webgpu"],
    default: "auto",
    help: "what ONNX Runtime computes on; list engines says what it has; auto is cuda, or the cpu",
  },
  threads: { type: "integer", min: 1, help: "threads of the CPU; all cores without it" },
} as const;
