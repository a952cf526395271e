import cfg from "../../guidance/cfg.ts";
import { testGuidance } from "../laws.ts";

testGuidance(cfg, {
  settings: [{ scale: 0 }, { scale: 0.5 }, { scale: 8 }],
  neutral: { scale: 1 },
});
