import sampler from "../../samplers/dpmpp_2s_ancestral.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
