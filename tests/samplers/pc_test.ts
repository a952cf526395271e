import sampler from "../../samplers/pc.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
