import sampler from "../../samplers/unipc.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
