import sampler from "../../samplers/dpm2.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
