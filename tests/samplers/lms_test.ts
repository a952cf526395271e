import sampler from "../../samplers/lms.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
