import sampler from "../../samplers/dpmpp_sde.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
