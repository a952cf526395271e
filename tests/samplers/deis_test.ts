import sampler from "../../samplers/deis.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
