namespace DualSparse.Models;

/// <summary>
/// What a folder is that can't be read as a model: one row a kind, the first that fits counts. A row gives the rest of a sentence, what it
/// is and what to do, or null where it doesn't fit.
/// </summary>
internal static class FolderKind
{
    private const string ToSafetensors = "with transformers: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)";

    /// <summary>What a link is that leads nowhere, and what to do.</summary>
    public const string DeadLink = "a link that leads nowhere: copy the files themselves, or the whole of the hub's cache folder, or download the model again";

    // What trainers keep beside weights.
    private static readonly string[] s_trainingState = ["training_args", "optimizer", "scheduler", "scaler", "rng_state", "random_states"];

    private static readonly Func<FolderContents, string?>[] s_kinds =
    [
        Adapter,
        folder => folder.Has("model_index.json") ? "it is a pipeline of diffusers, which makes pictures: give a language model's folder" : null,
        Interrupted,
        folder => folder.FirstFolder("models--*") is { } model ? $"it is a hub's cache: give one of its models, such as {folder.In(model)}" : null,
        folder => folder.Has("params.json") && folder.First("consolidated*") is { } file ? $"it has the weights in their first publisher's own layout ('params.json', '{file}'): take the repository's files for transformers (config.json and model-*.safetensors), or convert with transformers' conversion script for the family" : null,
        folder => folder.FirstFolder("global_step*", "iter_0*", "mp_rank_*", "zero_*") is { } step ? $"it is a checkpoint of a training run ('{step}'): export it as a transformers checkpoint first (for DeepSpeed: python zero_to_fp32.py . OUT --safe_serialization)" : null,
        folder => folder.First("*.gguf") is { } file ? $"it has GGUF files ('{file}'), which aren't read: take the model's folder of safetensors" : null,
        PyTorch,
        folder => folder.First("consolidated*.safetensors") is { } file ? $"of weights it has only '{file}', in its publisher's own layout: fetch the repository's model-*.safetensors and their index" : null,
        folder => (folder.First("*.onnx") ?? folder.FirstFolder("onnx")) is { } file ? $"it has the model for ONNX Runtime ('{file}'), which isn't read: take the model's folder of safetensors" : null,
        folder => folder.First("*.h5", "*.msgpack", "*.tflite", "*.nemo", "*.ckpt", "*.npz") is { } file ? $"it has weights in a format that isn't read ('{file}'): take the model's folder of safetensors, or convert it {ToSafetensors}" : null,
    ];

    /// <summary>Why a folder without config.json is none of a model.</summary>
    public static string WithoutConfig(FolderContents folder)
    {
        if (folder.Files.Count + folder.Folders.Count == 0)
            return "the folder is empty: fetch the model's files into it";
        if (folder.Files.Contains(ModelPath.Config))
            return $"its config.json is {DeadLink}";
        if (Known(folder) is { } known)
            return known;
        return folder.FoldersWith(ModelPath.Config) switch
        {
            [var one] => $"there is no config.json, but '{one}' inside has one: give {folder.In(one)}",
            [var first, ..] several => $"there is no config.json, but {several.Count} folders inside have one: give one of them, such as {folder.In(first)}",
            _ when folder.First("*.safetensors") is { } weights => $"it has weights ('{weights}') but no config.json: fetch config.json from where the weights come from",
            _ when folder.First("tokenizer*", "*.tiktoken") is { } tokenizer => $"it has a tokenizer ('{tokenizer}') but no config.json and no weights: fetch the model's other files",
            _ => "there is no config.json: give a folder that has config.json, tokenizer.json and the safetensors",
        };
    }

    /// <summary>Why a folder with config.json has no weights.</summary>
    public static string WithoutWeights(FolderContents folder)
    {
        if (folder.Files.FirstOrDefault(file => file is "model.safetensors" or "model.safetensors.index.json") is { } dead)
            return $"its {dead} is {DeadLink}";
        if (Known(folder) is { } known)
            return known;
        if (folder.First("model-*-of-*.safetensors") is { } shard)
            return $"it has '{shard}' but no 'model.safetensors.index.json', which says what is where: fetch it too";
        return folder.First("*.safetensors") is { } other
            ? $"there is neither a 'model.safetensors' nor a 'model.safetensors.index.json', only '{other}': rename it to model.safetensors if it holds the whole model"
            : "there is neither a 'model.safetensors' nor a 'model.safetensors.index.json': fetch the weights too";
    }

    /// <summary>Why files that an index names are missing.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="missing">The files' names.</param>
    /// <param name="all">How many the index names.</param>
    public static string WithoutShards(FolderContents folder, IReadOnlyList<string> missing, int all)
    {
        string which = missing.Count == 1 ? $"the file '{missing[0]}', which is missing" : $"{missing.Count} files that are missing, '{missing[0]}' first";
        return $"it names {which}, of {all}: {(folder.Files.Contains(missing[0]) ? "the link leads nowhere" : IsInterrupted(folder) ? "the download stopped midway" : "the download isn't complete")}; run it again";
    }

    /// <summary>Why a folder without tokenizer.json can't make ids of text.</summary>
    public static string WithoutTokenizer(FolderContents folder)
    {
        const string make = "make tokenizer.json with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)";
        if (folder.Files.Contains("tokenizer.json"))
            return $"its tokenizer.json is {DeadLink}";
        if (folder.First("tokenizer.model", "spiece.model", "*.spm", "tokenizer.model.v*") is { } pieces)
            return $"of the tokenizer there is only SentencePiece's '{pieces}': {make}";
        if (folder.First("vocab.json", "merges.txt", "*.tiktoken", "tekken.json", "vocab.txt") is { } vocabulary)
            return $"of the tokenizer there is only '{vocabulary}': {make}";
        return "there is no tokenizer.json: fetch it from where the model comes from";
    }

    private static string? Known(FolderContents folder) => s_kinds.Select(kind => kind(folder)).FirstOrDefault(what => what is not null);

    private static string? Adapter(FolderContents folder)
    {
        if (!folder.Has("adapter_config.json"))
            return null;
        string? based = null;
        try
        {
            based = JsonField.Parse(ModelFile.Read(folder.In("adapter_config.json"), 1 << 20), "").Text("base_model_name_or_path", null);
        }
        catch (ModelFormatException)
        {
            // Whatever it holds, its name says what the folder is.
        }

        return $"it is an adapter (PEFT){(based is null ? "" : $" of {based}")}, not a whole model: merge it into its base model first (PEFT's merge_and_unload, then save_pretrained) and give that folder";
    }

    private static string? Interrupted(FolderContents folder) =>
        IsInterrupted(folder) ? "the download stopped midway (there are '.incomplete' files): run it again" : null;

    private static bool IsInterrupted(FolderContents folder)
    {
        if (folder.First("*.incomplete", "*.part", "*.crdownload", "*.aria2") is not null)
            return true;
        string cache = folder.In(Path.Combine(".cache", "huggingface", "download"));
        return Directory.Exists(cache) && new FolderContents(cache).First("*.incomplete") is not null;
    }

    private static string? PyTorch(FolderContents folder)
    {
        string[] pickles = [.. folder.Files.Where(file => Path.GetExtension(file).ToLowerInvariant() is ".bin" or ".pt" or ".pth")];
        if (pickles.FirstOrDefault(file => !s_trainingState.Any(state => file.StartsWith(state, StringComparison.Ordinal))) is { } weights)
            return $"it has weights as PyTorch pickles them ('{weights}'), which aren't read since they can run code: take the model's safetensors, or convert it {ToSafetensors}";
        return pickles is [var first, ..] ? $"it has the state of a training run ('{first}') and no weights: give a folder that the model was saved to" : null;
    }
}
