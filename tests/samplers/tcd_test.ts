import sampler from "../../samplers/tcd.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
