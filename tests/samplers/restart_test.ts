import sampler from "../../samplers/restart.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
