import lcm from "../../samplers/lcm.ts";
import { testSampler } from "../laws.ts";

testSampler(lcm, { families: ["vp", "flow"] }); // its weights are for t from 0 to 1000
