import sampler from "../../samplers/euler_ancestral.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
