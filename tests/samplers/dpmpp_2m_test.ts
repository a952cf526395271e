import sampler from "../../samplers/dpmpp_2m.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
