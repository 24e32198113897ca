using DualSparse.Benchmarks.Scenes.Statements;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>
/// Keeps sentences balanced: with pictures of as many items, a sentence is true as often as false, to within one. So neither the sentence nor the
/// number of items nor both tell what is true.
/// </summary>
internal sealed class StatementLedger
{
    private readonly Dictionary<(string Text, int Items), int> balance = [];

    /// <summary>Whether a sentence may be used: it wasn't used more often with this truth than with the other.</summary>
    public bool Admits(Scene scene, Statement statement)
    {
        int value = balance.GetValueOrDefault((statement.Text, scene.Items.Count));
        return statement.IsTrue ? value <= 0 : value >= 0;
    }

    /// <summary>Notes a use.</summary>
    public void Note(Scene scene, Statement statement)
    {
        var key = (statement.Text, scene.Items.Count);
        balance[key] = balance.GetValueOrDefault(key) + (statement.IsTrue ? 1 : -1);
    }
}
