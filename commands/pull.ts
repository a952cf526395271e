import { command } from "./_command.ts";
import { hubFlags, pullModel, revised } from "./_hub.ts";

/** `denoise pull`: a model of the hub into the cache. */
export default command({
  name: "pull",
  summary: "downloads a model from the hub, for use without a network",
  usage: "OWNER/NAME",
  description:
    "Downloads what a pipeline runs of a repository on the hub: its networks, once each as " +
    "safetensors where there are such, and what describes them. Files go to the cache that " +
    "Python's client uses ($HF_HOME/hub), are checked by their checksums, and a download that was " +
    "broken off goes on where it ended. Prints the folder. HF_ENDPOINT names another hub, " +
    "HF_TOKEN what a private or gated model asks for. Whatever takes a model then finds it by its " +
    "name.",
  examples: [
    ["pull google/ddpm-cat-256", "a model"],
    ["pull OWNER/NAME --revision v1.0 --variant fp16", "a tag, with weights in half precision"],
    ["sample google/ddpm-cat-256 -n 1 -o cat.png", "then it is there"],
  ],
  flags: hubFlags,
  async run({ flags, positional: [spec = ""], io }) {
    await io.write(await pullModel(revised(spec, flags.revision), flags, io));
    return 0;
  },
});
