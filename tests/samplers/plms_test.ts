import sampler from "../../samplers/plms.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
