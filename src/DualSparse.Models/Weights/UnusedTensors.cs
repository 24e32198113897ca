using DualSparse.Models.Safetensors;

namespace DualSparse.Models;

/// <summary>What a checkpoint has beyond the tensors that its configuration asks for.</summary>
internal static class UnusedTensors
{
    // RoPE's frequencies, which old checkpoints hold, and what training libraries keep beside weights: both change nothing.
    private static readonly string[] s_harmless = [".rotary_emb.inv_freq", "._extra_state"];

    // Parts of weights as GPTQ, AWQ, FP8, bitsandbytes, compressed-tensors and mlx keep them.
    private static readonly string[] s_quantised =
        [".qweight", ".qzeros", ".scales", ".biases", ".g_idx", ".weight_scale", ".weight_scale_inv", ".weight_packed", ".weight.absmax", ".weight.quant_map", ".SCB"];

    private const string Unquantised = "take the model's own weights in F32, BF16 or F16, which are made int8 or int4 as they are loaded";

    /// <summary>
    /// Refuses a layer's tensor that isn't asked for, say a bias: it is part of another model than the configuration's. Layers behind the
    /// last are for predicting further tokens and change nothing.
    /// </summary>
    /// <returns>A sentence about the others, where there are any.</returns>
    /// <exception cref="ModelFormatException">There is such a tensor.</exception>
    public static IReadOnlyList<string> Check(Checkpoint checkpoint)
    {
        string layers = checkpoint.Config.Names.Root + "layers.";
        List<string> noted = [];
        foreach (string name in Unused(checkpoint))
        {
            if (s_harmless.Any(end => name.EndsWith(end, StringComparison.Ordinal)))
                continue;
            checkpoint.TryGet(name, out var tensor);
            if (name.Contains(".lora_", StringComparison.Ordinal))
                throw new ModelFormatException($"{tensor!.File}: tensor '{name}' is an adapter's (LoRA): merge the adapter into the weights first (PEFT's merge_and_unload, then save_pretrained)");
            if (IsQuantised(name))
                throw new ModelFormatException($"{tensor!.File}: tensor '{name}' is a quantised checkpoint's, which isn't supported: {Unquantised}");
            if (!name.StartsWith(layers, StringComparison.Ordinal))
                noted.Add(name);
            else if (LayerOf(name, layers) is { } layer && layer < checkpoint.Config.Layers)
                throw new ModelFormatException($"{tensor!.File}: tensor '{name}' is none that config.json asks for, and the model would not be the same without it");
        }

        return noted is [var first, ..] ? [$"{checkpoint.Folder}: tensors that aren't read: {noted.Count}, such as '{first}'"] : [];
    }

    /// <summary>What a missing tensor may be called here, as the rest of a sentence; empty where nothing is likely.</summary>
    public static string Instead(Checkpoint checkpoint, string missing)
    {
        if (missing == checkpoint.Config.Names.Head)
            return ", and config.json doesn't say 'tie_word_embeddings': true; set it if the head is the embedding";
        if (Unused(checkpoint).FirstOrDefault(IsQuantised) is { } quantised)
            return $"; there is '{quantised}', a quantised checkpoint's, which isn't supported: {Unquantised}";
        // A name differs in a part, so what it begins and ends with says how near it is.
        string? near = Unused(checkpoint).MaxBy(name => Common(name, missing) + Common(Reversed(name), Reversed(missing)));
        return near is not null && Common(Reversed(near), Reversed(missing)) + Common(near, missing) > missing.Length / 2 ? $"; the nearest that isn't read is '{near}'" : "";
    }

    private static IEnumerable<string> Unused(Checkpoint checkpoint)
    {
        var needed = checkpoint.Config.Tensors.All().Select(tensor => tensor.Name).ToHashSet(StringComparer.Ordinal);
        // A head that nobody needs since the embedding is it.
        return checkpoint.Names.Where(name => !needed.Contains(name) && name != checkpoint.Config.Names.Head);
    }

    private static bool IsQuantised(string name) => s_quantised.Any(end => name.EndsWith(end, StringComparison.Ordinal));

    private static int? LayerOf(string name, string layers)
    {
        var number = name.AsSpan(layers.Length);
        return int.TryParse(number[..Math.Max(0, number.IndexOf('.'))], out int layer) ? layer : null;
    }

    private static int Common(string a, string b) => a.AsSpan().CommonPrefixLength(b);

    private static string Reversed(string text) => new([.. text.Reverse()]);
}
