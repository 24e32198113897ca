using DualSparse.Benchmarks.Scenes.Statements;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>A record to train on: a scene and sentences about it.</summary>
internal sealed record SceneRecord(Scene Scene, IReadOnlyList<Statement> Statements);

/// <summary>Draws what is trained on. Truth is drawn for each sentence anew, so that those before tell nothing, and balanced by a ledger.</summary>
internal sealed class SceneTraining
{
    /// <summary>Sentences a record.</summary>
    public const int Turns = 8;

    // The most items of half the scenes: from these a model learns first what words mean.
    private const int FewItems = 3;

    // After so many draws without an admissible sentence of a form another is tried, and then the record has one sentence less.
    private const int Tries = 40;

    private static readonly StatementKind[] s_kinds = Enum.GetValues<StatementKind>();

    private readonly StatementLedger ledger = new();
    private readonly Dictionary<StatementForm, int> used = StatementForm.All.ToDictionary(form => form, _ => 0);
    private readonly ulong seed;
    private readonly HashSet<string> tested;
    private long index;

    /// <summary>A source of records.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="tests">What is tested: no scene with the same items is trained on.</param>
    public SceneTraining(ulong seed, IEnumerable<Scene> tests) => (this.seed, tested) = (seed, [.. tests.Select(scene => scene.Layout)]);

    /// <summary>The next record.</summary>
    public SceneRecord Next()
    {
        while (true)
        {
            var random = new SceneRandom(seed, SceneStream.Training, index++);
            var scene = (random.Chance(0.5) ? new SceneGenerator(random, 1, FewItems) : new SceneGenerator(random)).Draw();
            if (tested.Contains(scene.Layout))
                continue;
            // Each kind once, and those twice of which fewest were found so far: equal shares.
            StatementKind[] kinds = random.Shuffled([.. s_kinds, .. s_kinds.OrderBy(kind => used.Where(form => form.Key.Kind == kind).Sum(form => form.Value)).Take(Turns - s_kinds.Length)]);
            HashSet<string> topics = [];
            List<Statement> statements = [];
            foreach (var kind in kinds)
            {
                if (Find(kind, scene, random, topics) is not { } statement)
                    continue;
                topics.Add(statement.Topic);
                ledger.Note(scene, statement);
                statements.Add(statement);
            }

            if (statements.Count > 0)
                return new SceneRecord(scene, statements);
        }
    }

    private Statement? Find(StatementKind kind, Scene scene, SceneRandom random, HashSet<string> topics)
    {
        bool wanted = random.Chance(0.5);
        // First the form of which there is the least, for its share.
        foreach (var form in StatementForm.All.Where(form => form.Kind == kind).OrderBy(form => used[form] / form.Share))
        {
            for (int i = 0; i < Tries; i++)
            {
                if (form.Draw(scene, random) is { } statement && statement.IsTrue == wanted && !topics.Contains(statement.Topic) && ledger.Admits(scene, statement))
                {
                    used[form]++;
                    return statement;
                }
            }
        }

        return null;
    }
}
