namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>What a sentence asks of a picture.</summary>
internal enum StatementKind
{
    Existence,
    Count,
    Comparison,
    Position,
    Touching,
}

/// <summary>A sentence about a scene.</summary>
/// <param name="Text">The sentence.</param>
/// <param name="Topic">What it speaks of: sentences of one topic may tell each other's truth.</param>
/// <param name="IsTrue">Whether it holds.</param>
internal sealed record Statement(string Text, string Topic, bool IsTrue);
