import sampler from "../../samplers/langevin.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
