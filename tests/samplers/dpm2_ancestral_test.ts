import sampler from "../../samplers/dpm2_ancestral.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
