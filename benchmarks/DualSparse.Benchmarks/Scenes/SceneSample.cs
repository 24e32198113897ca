using DualSparse.Benchmarks.Scenes.Statements;

namespace DualSparse.Benchmarks.Scenes;

/// <summary>A scene to show: one with a red circle, a tower, and things in each box.</summary>
internal static class SceneSample
{
    /// <summary>Draws it.</summary>
    public static Scene Draw(ulong seed)
    {
        var wanted = new Subject(ItemColour.Red, ItemShape.Circle);
        for (long index = 0; ; index++)
        {
            var scene = new SceneGenerator(new SceneRandom(seed, SceneStream.Sample, index)).Draw();
            if (wanted.Count(scene) == 1 && scene.Towers.Count == 1 && scene.Items.Select(item => item.Box).Distinct().Count() == Scene.Boxes)
                return scene;
        }
    }
}
