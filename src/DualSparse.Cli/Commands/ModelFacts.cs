using DualSparse.Cli.Hosting;
using DualSparse.Engine.Loading;
using DualSparse.Engine.Moe.Drop;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Safetensors;

namespace DualSparse.Cli.Commands;

/// <summary>The memory that a model's weights take in one format, and which kernel multiplies by them here.</summary>
internal sealed record FormatNeed(string Weights, long Bytes, string Kernel);

/// <summary>What <c>inspect</c> shows of a model; as JSON these very fields.</summary>
internal sealed record ModelFacts
{
    public required string Family { get; init; }

    public required int Layers { get; init; }

    public required int LayersWithExperts { get; init; }

    public required int HiddenSize { get; init; }

    public required string Attention { get; init; }

    public int? Experts { get; init; }

    public int? ExpertsPerToken { get; init; }

    public int? NeuronsPerExpert { get; init; }

    public int? SharedNeurons { get; init; }

    public string? Groups { get; init; }

    public bool SharedGate { get; init; }

    public string? Shortcut { get; init; }

    public string? Vision { get; init; }

    public required int Context { get; init; }

    public string? ContextReason { get; init; }

    public required int Vocabulary { get; init; }

    public required bool TiedHead { get; init; }

    public required long Parameters { get; init; }

    public required long ActiveParameters { get; init; }

    public required int Tensors { get; init; }

    public required string[] TensorTypes { get; init; }

    public required bool FusedExperts { get; init; }

    public required long TensorBytes { get; init; }

    public required double KeyValueBytesPerToken { get; init; }

    public required double KeyValueBytesPerTokenF32 { get; init; }

    public double? MaxDrop { get; init; }

    public string[]? DropMethods { get; init; }

    public required FormatNeed[] Memory { get; init; }

    public required string[] Notes { get; init; }

    /// <summary>Reads them from a model's folder.</summary>
    /// <exception cref="ModelFormatException">It is none that can be run.</exception>
    public static ModelFacts Read(string folder)
    {
        using var checkpoint = Checkpoint.Open(folder);
        var config = checkpoint.Config;
        var (size, moe) = (ModelSize.Of(config), config.Moe);
        var tensors = config.Tensors.All().Select(t => checkpoint.Get(t)).ToArray();
        var methods = DropProfile.Find(folder)?.Methods;
        return new ModelFacts
        {
            Family = config.ModelType,
            Layers = config.Layers,
            LayersWithExperts = config.LayerPlan.Count(l => l.IsMoe),
            HiddenSize = config.HiddenSize,
            Attention = config.Attention.Mla is { } mla
                ? $"{config.Attention.Heads} heads over a latent of {mla.KvRank} + {mla.RopeSize} (MLA)"
                : $"{config.Attention.Heads} heads of {config.Attention.HeadSize}, {config.Attention.KeyValueHeads} of keys and values",
            Experts = moe?.Experts,
            ExpertsPerToken = moe?.ExpertsPerToken,
            NeuronsPerExpert = moe?.Intermediate,
            SharedNeurons = moe?.SharedIntermediate > 0 ? moe.SharedIntermediate : null,
            SharedGate = moe is { Combine: not CombineGate.None },
            Shortcut = config.LayerPlan.Max(l => l.Shortcut) switch
            {
                0 => null,
                1 => "the input of their layer's attention",
                2 => "the input of the MLP of the layer before",
                _ => "the input of the attention of the layer before",
            },
            Vision = config.Vision is { } vision
                ? $"{vision.Layers} blocks of {vision.HiddenSize}, patches of {vision.PatchSize} × {vision.PatchSize} pixels, {vision.Merge} × {vision.Merge} to a token" : null,
            Groups = moe?.Groups > 1 ? $"{moe.TopKGroups} of {moe.Groups} groups" : null,
            Context = config.MaxPositions,
            ContextReason = config.Rope.Scaling switch
            {
                RopeScaling.Linear(var factor, var trained) => $"{trained} × {factor} by linear RoPE scaling",
                RopeScaling.Yarn yarn => $"{yarn.OriginalPositions} × {yarn.Factor} by YaRN",
                RopeScaling.Llama3 => "RoPE scaled as in Llama 3",
                _ => null,
            },
            Vocabulary = config.VocabSize,
            TiedHead = config.TieEmbeddings,
            Parameters = size.Total,
            ActiveParameters = size.Active,
            Tensors = tensors.Length,
            TensorTypes = [.. tensors.Select(t => t.Type.HeaderName()).Distinct()],
            FusedExperts = config.Names.Experts != ExpertStorage.Separate,
            TensorBytes = tensors.Sum(t => t.ByteLength),
            KeyValueBytesPerToken = MemoryNeed.KeyValueBytes(config, WeightFormat.Bf16),
            KeyValueBytesPerTokenF32 = MemoryNeed.KeyValueBytes(config, WeightFormat.F32),
            MaxDrop = methods is [var first, ..] ? first.Points[^1].Drop : null,
            DropMethods = methods is { Count: > 0 } ? [.. methods.Select(m => m.Name)] : null,
            Memory = [.. Enum.GetValues<WeightFormat>().Select(f => new FormatNeed(Figures.Name(f), MemoryNeed.WeightBytes(config, f), KernelTable.Choose(f).Name))],
            Notes = [.. checkpoint.Notes, .. config.Generation.Notes, .. config.Generation.Refusal is { } refusal ? [$"generate refuses it: {refusal}"] : Array.Empty<string>()],
        };
    }

    /// <summary>The facts in words.</summary>
    public IEnumerable<(string Name, string Value)> Lines()
    {
        yield return ("family", Family);
        yield return ("layers", $"{Layers}, of which {LayersWithExperts} with experts");
        yield return ("hidden size", $"{HiddenSize}");
        yield return ("attention", Attention);
        if (Experts is not null)
            yield return ("experts", $"{Experts} of {NeuronsPerExpert} neurons, {ExpertsPerToken} a token{(Groups is null ? "" : $", in {Groups}")}");
        if (Shortcut is not null)
            yield return ("shortcut", $"experts read {Shortcut}");
        if (SharedNeurons is not null)
            yield return ("shared expert", $"{SharedNeurons} neurons{(SharedGate ? ", gated" : "")}");
        if (Vision is not null)
            yield return ("pictures", Vision);
        yield return ("context", $"{Context} tokens{(ContextReason is null ? "" : $", {ContextReason}")}");
        yield return ("vocabulary", $"{Vocabulary}{(TiedHead ? ", head tied to the embedding" : "")}");
        yield return ("parameters", $"{ModelSize.Show(Parameters)}, active for a token {ModelSize.Show(ActiveParameters)}");
        yield return ("tensors", $"{Tensors} ({string.Join(", ", TensorTypes)}{(FusedExperts ? ", experts fused" : "")}), {MemoryBudget.Format(TensorBytes)}");
        yield return ("keys and values", $"{KeyValueBytesPerToken / 1024:0.#} KiB a token, with f32 weights {KeyValueBytesPerTokenF32 / 1024:0.#}");
        if (DropMethods is not null)
            yield return ("thresholds", $"for --drop to {MaxDrop}, by {string.Join(" or ", DropMethods)} (sparsified)");
        foreach (string note in Notes)
            yield return ("note", note);
    }
}
