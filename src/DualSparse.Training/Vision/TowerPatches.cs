using DualSparse.Kernels.Ops;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Training.Ops;

namespace DualSparse.Training.Vision;

/// <summary>The patches of a batch's pictures, one picture's behind another's.</summary>
internal sealed class TowerPatches
{
    /// <summary>Places them.</summary>
    /// <param name="config">The tower.</param>
    /// <param name="pictures">The pictures.</param>
    /// <exception cref="ArgumentException">One isn't of this model's patches.</exception>
    public TowerPatches(VisionConfig config, IReadOnlyList<PicturePatches> pictures)
    {
        All = pictures;
        Pictures = new Window[pictures.Count];
        Places = new GridPlace[pictures.Sum(picture => picture.Grid.Count)];
        for (int i = 0, first = 0; i < pictures.Count; i++)
        {
            pictures[i].Require(config);
            var grid = pictures[i].Grid;
            Pictures[i] = new Window(first, grid.Count);
            for (int patch = 0; patch < grid.Count; patch++, first++)
            {
                var (row, column) = grid.Place(patch, config.Merge);
                Places[first] = new GridPlace(0, row, column);
            }
        }
    }

    /// <summary>The pictures.</summary>
    public IReadOnlyList<PicturePatches> All { get; }

    /// <summary>The patches of each.</summary>
    public Window[] Pictures { get; }

    /// <summary>[patches] the row and column of each in its picture.</summary>
    public GridPlace[] Places { get; }

    /// <summary>Patches of all pictures.</summary>
    public int Count => Places.Length;
}
