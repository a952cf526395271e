import sampler from "../../samplers/ipndm.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
