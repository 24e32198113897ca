namespace DualSparse.Benchmarks.Scenes.Statements;

/// <summary>What sentences of a kind may say.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Share">Its share of the kind's sentences.</param>
/// <param name="Draw">A sentence about a scene, true or false; null where this draw gave none.</param>
internal sealed record StatementForm(StatementKind Kind, double Share, Func<Scene, SceneRandom, Statement?> Draw)
{
    /// <summary>Every form; the shares of a kind's add up to 1.</summary>
    public static IReadOnlyList<StatementForm> All { get; } =
    [
        new(StatementKind.Existence, 1, ExistenceStatement.Draw),
        new(StatementKind.Count, 1, CountStatement.Draw),
        new(StatementKind.Comparison, 1, ComparisonStatement.Draw),
        new(StatementKind.Position, 0.75, PositionStatement.InBox),
        new(StatementKind.Position, 0.25, PositionStatement.Beside),
        new(StatementKind.Touching, 0.4, TouchingStatement.Wall),
        new(StatementKind.Touching, 0.3, TouchingStatement.Pair),
        new(StatementKind.Touching, 0.3, TouchingStatement.Tower),
    ];
}
