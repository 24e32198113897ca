namespace DualSparse.Benchmarking;

/// <summary>The sizes of one mixture-of-experts layer.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="Experts">E, routed experts.</param>
/// <param name="TopK">K, experts a token.</param>
/// <param name="Hidden">D.</param>
/// <param name="Neurons">F, neurons of a routed expert.</param>
/// <param name="SharedNeurons">Neurons of all shared experts; 0: none.</param>
internal sealed record LayerShape(string Name, int Experts, int TopK, int Hidden, int Neurons, int SharedNeurons = 0)
{
    /// <summary>The known shapes: OLMoE-1B-7B, Mixtral-8x7B, Qwen3-30B-A3B, DeepSeek-V2-Lite.</summary>
    public static IReadOnlyList<LayerShape> All { get; } =
    [
        new("olmoe", 64, 8, 2048, 1024),
        new("mixtral", 8, 2, 4096, 14336),
        new("qwen3-30b-a3b", 128, 8, 2048, 768),
        new("deepseek-v2-lite", 64, 6, 2048, 1408, 2 * 1408),
    ];

    /// <summary>A shape by name.</summary>
    /// <exception cref="ArgumentException">There is no shape of this name.</exception>
    public static LayerShape Named(string name) => All.FirstOrDefault(s => s.Name == name)
        ?? throw new ArgumentException($"no shape '{name}', expected one of {string.Join(", ", All.Select(s => s.Name))}");
}
