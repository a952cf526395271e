import sampler from "../../samplers/dpmpp_3m_sde.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
