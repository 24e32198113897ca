using DualSparse.Models.Safetensors;

namespace DualSparse.Models;

/// <summary>
/// Finds out how a checkpoint names its tensors: what stands before the names (a program wraps the model, or another model holds it), and how
/// routed experts are stored. A name is only read as one that says the same: gate, up and down, by the words of the families or by w1, w3, w2.
/// </summary>
internal static class StoredNames
{
    private const string Embedding = "embed_tokens.weight";
    private const string PatchEmbedding = "patch_embed.proj.weight";
    private const string HeadName = "lm_head.weight";

    private static readonly string[] s_blocks = ["mlp", "block_sparse_moe", "feed_forward", "moe"];

    // experts: everybody's. switch_mlp: mlx's.
    private static readonly string[] s_lists = ["experts", "switch_mlp"];

    private static readonly (string Gate, string Up, string Down)[] s_projections = [("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2")];

    /// <summary>The checkpoint's configuration, its names those of the tensors that are there; the family's own where nothing else is found.</summary>
    /// <exception cref="ModelFormatException">Experts are there in two forms, or a layer's fused tensors don't fit together.</exception>
    public static ModelConfig Find(Checkpoint checkpoint)
    {
        var config = checkpoint.Config with { Names = Rooted(checkpoint) };
        if (config.Moe is null)
            return config;
        Dictionary<TensorNames, (int Layer, string Name)> forms = [];
        foreach (string name in checkpoint.Names)
        {
            if (Form(config, name) is var (names, layer) && !(forms.TryGetValue(names, out var known) && known.Layer <= layer))
                forms[names] = (layer, name);
        }

        // Where there are two, the one with a tensor for each expert is the odd one.
        var found = forms.OrderBy(form => form.Key.Experts == ExpertStorage.Separate).ToArray();
        if (found is [var one, var other, ..])
            throw new ModelFormatException($"{checkpoint.Folder}: '{one.Value.Name}' holds experts of a layer, and yet there is '{other.Value.Name}': expected one form or the other");
        if (found is not [var (stored, (first, _))])
            return config;
        config = config with { Names = stored };
        return stored.Experts == ExpertStorage.Fused ? Oriented(checkpoint, config, first) : config;
    }

    private static ModelConfig Oriented(Checkpoint checkpoint, ModelConfig fused, int layer)
    {
        var transposed = fused with { Names = fused.Names with { Experts = ExpertStorage.FusedTransposed } };
        LayerTensors way = fused.Tensors.Layer(layer), other = transposed.Tensors.Layer(layer);
        var storage = FusedOrientation.Of(checkpoint.Get(way.ExpertsGateUp!.Name), checkpoint.Get(way.ExpertsDown!.Name), way, other);
        return storage == ExpertStorage.Fused ? fused : transposed;
    }

    // The embedding and the head have names of their own everywhere, so what stands before them is what a program put there.
    private static TensorNames Rooted(Checkpoint checkpoint)
    {
        var names = checkpoint.Config.Names;
        string? root = Before(checkpoint, Embedding, names.Root);
        if (checkpoint.Config.Vision is not null)
            names = names with { Vision = Before(checkpoint, PatchEmbedding, names.Vision) ?? names.Vision };
        return names with { Root = root ?? names.Root, Head = Before(checkpoint, HeadName, "") is { } head ? head + HeadName : names.Head };
    }

    // Null: no tensor has this name behind a prefix, or several have. Layers for further tokens have embeddings and heads of their own.
    private static string? Before(Checkpoint checkpoint, string name, string usual)
    {
        if (checkpoint.TryGet(usual + name, out _))
            return usual;
        string[] found = [.. checkpoint.Names.Where(n => (n == name || n.EndsWith("." + name, StringComparison.Ordinal)) && !n.Contains("layers.", StringComparison.Ordinal))];
        return found is [var one] ? one[..^name.Length] : null;
    }

    // How a layer's routed experts are stored if a tensor of this name is one of theirs: ROOTlayers.3.BLOCK.LIST.7.gate_proj.weight, say.
    private static (TensorNames Names, int Layer)? Form(ModelConfig config, string name)
    {
        var own = config.Names;
        string layers = own.Root + "layers.";
        if (!name.StartsWith(layers, StringComparison.Ordinal) || name[layers.Length..].Split('.') is not [var number, var block, var list, .. var rest])
            return null;
        if (!int.TryParse(number, out int layer) || layer >= config.Layers || !config.LayerPlan[layer].IsMoe || !s_lists.Contains(list))
            return null;
        // Another block may not take a shared expert along, whose names are the family's.
        if (block != own.Moe && (config.Moe!.SharedIntermediate > 0 || !s_blocks.Contains(block)))
            return null;
        var names = own with { Moe = block, ExpertList = list };
        return rest switch
        {
            [var expert, var projection, "weight"] when int.TryParse(expert, out _) => Projected(ExpertStorage.Separate, projection),
            [var projection, "weight"] => Projected(ExpertStorage.Stacked, projection),
            ["gate_up_proj" or "down_proj"] => (names with { Experts = ExpertStorage.Fused }, layer),
            _ => null,
        };

        (TensorNames, int)? Projected(ExpertStorage storage, string projection)
        {
            foreach (var (gate, up, down) in s_projections)
            {
                if (projection == gate || projection == up || projection == down)
                    return (names with { ExpertGate = gate, ExpertUp = up, ExpertDown = down, Experts = storage }, layer);
            }

            return null;
        }
    }
}
