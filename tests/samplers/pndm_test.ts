import sampler from "../../samplers/pndm.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
