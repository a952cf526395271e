import clip from "../../guidance/clip.ts";
import { testGuidance } from "../laws.ts";

testGuidance(clip, { settings: [{ range: 0.5 }], neutral: { range: 1e6 } });
