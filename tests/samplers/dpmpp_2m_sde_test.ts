import sampler from "../../samplers/dpmpp_2m_sde.ts";
import { testSampler } from "../laws.ts";

testSampler(sampler);
