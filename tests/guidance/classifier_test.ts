import classifier from "../../guidance/classifier.ts";
import { testGuidance } from "../laws.ts";

testGuidance(classifier, {
  settings: [{ scale: 4 }, { form: "score", scale: 2 }],
  neutral: { scale: 0 },
});
