using DualSparse.Benchmarks.Scenes.Statements;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>An item of a test: a scene and one sentence about it.</summary>
internal sealed record SceneTestItem(Scene Scene, Statement Statement);

/// <summary>
/// The test of a kind. Each sentence comes in pairs, once true and once false, of pictures with as many items: who looks at the sentence and counts
/// items, but doesn't look further, is right half the time.
/// </summary>
internal static class SceneTest
{
    // Sentences tried a scene.
    private const int Tries = 4;

    /// <summary>Draws a kind's items.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="kind">The kind.</param>
    /// <param name="count">The number of items.</param>
    public static SceneTestItem[] Draw(ulong seed, StatementKind kind, int count)
    {
        List<SceneTestItem> items = [];
        foreach (var form in StatementForm.All.Where(form => form.Kind == kind))
            items.AddRange(Pairs(seed, form, (int)Math.Round(count * form.Share / 2)));
        return new SceneRandom(seed, SceneStream.TestOrder, (int)kind).Shuffled(items);
    }

    private static List<SceneTestItem> Pairs(ulong seed, StatementForm form, int pairs)
    {
        int forms = StatementForm.All.Count, number = StatementForm.All.ToList().IndexOf(form);
        Dictionary<(string Text, int Items), SceneTestItem> waiting = [];
        List<SceneTestItem> items = [];
        for (long index = 0; items.Count < 2 * pairs; index++)
        {
            // A form's scenes are no other form's.
            var random = new SceneRandom(seed, SceneStream.Test, index * forms + number);
            var scene = new SceneGenerator(random).Draw();
            for (int i = 0; i < Tries; i++)
            {
                if (form.Draw(scene, random) is not { } statement)
                    continue;
                var (key, item) = ((statement.Text, scene.Items.Count), new SceneTestItem(scene, statement));
                if (!waiting.TryGetValue(key, out var other))
                {
                    waiting[key] = item;
                    break;
                }

                if (other.Statement.IsTrue == statement.IsTrue)
                    continue;
                waiting.Remove(key);
                items.AddRange([other, item]);
                break;
            }
        }

        return items;
    }
}
