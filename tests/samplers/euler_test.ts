import sampler from "../../samplers/euler.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
