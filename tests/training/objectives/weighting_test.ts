import { assertAlmostEquals, assertEquals } from "@std/assert";
import { PREDICTION_TYPES, type PredictionType } from "../../../training/objective.ts";
import { lossWeight, type Weighting } from "../../../training/objectives/weighting.ts";

const minSnr = (gamma: number) => ({ kind: "min-snr", gamma } as const);

Deno.test("lossWeight() is one without weighting", () => {
  for (const type of PREDICTION_TYPES) assertEquals(lossWeight(type, 0.3, { kind: "none" }), 1);
});

Deno.test("lossWeight() is min-SNR", () => {
  // Hang et al. 2023, section 3.4: min(SNR, gamma) over 1, SNR and SNR + 1.
  assertEquals(lossWeight("sample", 2, minSnr(5)), 2);
  assertEquals(lossWeight("sample", 20, minSnr(5)), 5);
  assertEquals(lossWeight("epsilon", 2, minSnr(5)), 1);
  assertEquals(lossWeight("epsilon", 20, minSnr(5)), 0.25);
  assertEquals(lossWeight("v_prediction", 3, minSnr(5)), 0.75);
  assertEquals(lossWeight("v_prediction", 19, minSnr(5)), 0.25);
});

Deno.test("lossWeight() of min-SNR and P2 is finite without a signal and without noise", () => {
  const at = (snr: number, weighting: Weighting) =>
    PREDICTION_TYPES.map((type) => lossWeight(type, snr, weighting));
  assertEquals(at(0, minSnr(5)), [1, 0, 0]);
  assertEquals(at(Infinity, minSnr(5)), [0, 5, 0]);
  assertEquals(at(0, { kind: "p2", gamma: 1, k: 1 }), [1, 0, 0]);
});

Deno.test("lossWeight() is P2", () => {
  // Choi et al. 2022, equation 8: 1 / (k + SNR)^gamma on the noise; gamma 0 is L_simple.
  assertEquals(lossWeight("epsilon", 3, { kind: "p2", gamma: 1, k: 1 }), 0.25);
  assertEquals(lossWeight("epsilon", 3, { kind: "p2", gamma: 0.5, k: 1 }), 0.5);
  assertEquals(lossWeight("epsilon", 3, { kind: "p2", gamma: 0, k: 1 }), 1);
});

Deno.test("lossWeight() is EDM's, which is the error of v where the data has deviation 1", () => {
  // Karras et al. 2022, table 1: (sigma² + data²) / (sigma data)² on x0.
  const [sigma, data] = [0.3, 0.5];
  assertAlmostEquals(
    lossWeight("sample", sigma ** -2, { kind: "edm", data }),
    (sigma ** 2 + data ** 2) / (sigma * data) ** 2,
    1e-9,
  );
  for (const snr of [1e-3, 1, 50]) {
    assertAlmostEquals(lossWeight("v_prediction", snr, { kind: "edm", data: 1 }), 1, 1e-12);
  }
});

Deno.test("lossWeight() weighs one error of x0 alike, whatever the network predicts", () => {
  // An error of x0 is seen SNR times in the noise and SNR + 1 times in v.
  const seen = (type: PredictionType, snr: number) =>
    ({ sample: 1, epsilon: snr, v_prediction: snr + 1 })[type];
  const weightings: Weighting[] = [
    minSnr(5),
    { kind: "p2", gamma: 0.7, k: 2 },
    { kind: "edm", data: 0.5 },
  ];
  for (const weighting of weightings) {
    for (const snr of [1e-4, 0.5, 5, 300]) {
      const [first, ...others] = PREDICTION_TYPES.map((type) =>
        seen(type, snr) * lossWeight(type, snr, weighting)
      );
      for (const other of others) assertAlmostEquals(other / first!, 1, 1e-9, weighting.kind);
    }
  }
});
