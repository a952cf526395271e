import sampler from "../../samplers/heun.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
