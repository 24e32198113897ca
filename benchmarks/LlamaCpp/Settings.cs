using DualSparse.Kernels;

namespace DualSparse.LlamaCpp;

/// <summary>What is compared.</summary>
internal sealed record Settings
{
    /// <summary>A folder of OLMoE's family; null: random weights of OLMoE's shape.</summary>
    public required string? Model { get; init; }

    /// <summary>Layers of the random weights.</summary>
    public required int Layers { get; init; }

    /// <summary>Formats, one after another.</summary>
    public required WeightFormat[] Weights { get; init; }

    /// <summary>Numbers of texts that are generated together; none: no such test.</summary>
    public required int[] Streams { get; init; }

    /// <summary>Lengths of prompts; none: no such test.</summary>
    public required int[] Prompts { get; init; }

    /// <summary>Tokens of each text before those that are timed.</summary>
    public required int Before { get; init; }

    /// <summary>Tokens of each text that are timed.</summary>
    public required int Generate { get; init; }

    /// <summary>Rounds.</summary>
    public required int Rounds { get; init; }

    /// <summary>Threads of each engine.</summary>
    public required int Threads { get; init; }

    /// <summary>Another build of llama.cpp; null: the package's.</summary>
    public required string? Library { get; init; }

    /// <summary>Where the page goes, as Markdown; null: only to the terminal.</summary>
    public required string? Save { get; init; }

    /// <summary>The most tokens that a text has in any test.</summary>
    public int Longest => Math.Max(Before + Generate, Prompts.DefaultIfEmpty(0).Max());
}
