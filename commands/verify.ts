import { command } from "./_command.ts";
import { engineFlags } from "./_engine_flags.ts";
import { table } from "./_help.ts";

/** `denoise verify`: a model beside its origin. */
export default command({
  name: "verify",
  summary: "runs a model on recorded inputs and compares with what its origin gave",
  usage: "FOLDER...",
  description:
    "Runs a network or a pipeline on the inputs in its expected.safetensors, and compares with the " +
    "outputs that the original software wrote there; docs/verify.md says how to make such a file " +
    "in five lines of Python. A network may differ by 1e-4 of the largest value of each element of " +
    "the batch, a pipeline by 1e-3. The exit status is 1 where a tensor differs by more, and the " +
    "first one is named.",
  examples: [
    ["verify model/unet", "one network"],
    ["verify models/* --json", "many, for programs"],
  ],
  flags: {
    tolerance: {
      type: "number",
      min: 0,
      help: "the largest difference; 1e-4 for networks and 1e-3 for pipelines without it",
    },
    ...engineFlags,
    json: { type: "flag", help: "print one JSON object with every tensor" },
  },
  async run({ flags, positional: folders, io }) {
    const { engineOf } = await import("./_engine.ts");
    const { isSame, verify } = await import("../verification/mod.ts");
    const engine = await engineOf(flags, io);
    const reports = [];
    try {
      for (const folder of folders) reports.push(await verify(folder, engine, flags.tolerance));
    } finally {
      await engine.dispose();
    }
    for (const { folder, ignored } of reports) {
      if (ignored.length > 0) {
        io.warn(`Nothing here takes or gives ${ignored.join(", ")} of ${folder}`);
      }
    }
    if (flags.json) await io.write(JSON.stringify(reports, null, 2));
    else {
      for (const { folder, kind, compared } of reports) {
        const rows = compared.map((one) => {
          const { name, measure, difference: { size }, tolerance } = one;
          const limit = measure === "exact" ? "exactly" : `at most ${tolerance}`;
          return [
            name,
            `${isSame(one) ? "same" : "DIFFERS"}, ${size.toExponential(1)} (${limit})`,
          ] as const;
        });
        await io.write(`${folder} (${kind})\n${table(rows)}`);
      }
    }
    const wrong = reports.flatMap(({ folder, compared }) =>
      compared.filter((one) => !isSame(one)).map((one) => ({ folder, ...one }))
    );
    const [first] = wrong;
    if (first === undefined) return 0;
    const { name, folder, difference: { size, at, found, expected }, tolerance } = first;
    const more = wrong.length === 1 ? "" : `, and ${wrong.length - 1} more tensors differ`;
    throw new Error(
      `Cannot confirm "${folder}": ${name} differs by ${
        size.toExponential(1)
      }, at most ${tolerance} is allowed (${found} at [${
        at.join(", ")
      }], ${expected} was expected)${more}`,
    );
  },
});
