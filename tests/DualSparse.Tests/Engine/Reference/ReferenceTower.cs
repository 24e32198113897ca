using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Safetensors;

namespace DualSparse.Tests.Engine.Reference;

/// <summary>A picture in a reference pass.</summary>
/// <param name="First">Its first token.</param>
/// <param name="Rows">Rows of tokens.</param>
/// <param name="Columns">Tokens of each.</param>
/// <param name="Levels">[levels][tokens][hidden].</param>
internal sealed record ReferencePicture(int First, int Rows, int Columns, double[][][] Levels);

/// <summary>
/// A vision tower as its formulas stand, patch by patch in double precision: nothing shared with the engine but the reading of files and the
/// frequencies of its rotation.
/// </summary>
/// <param name="config">The model.</param>
/// <param name="values">A tensor's values.</param>
internal sealed class ReferenceTower(ModelConfig config, Func<TensorSpec, IReadOnlyList<double>> values)
{
    private const double Epsilon = 1e-6;

    private readonly VisionConfig vision = config.Vision!;
    private readonly VisionTensors tensors = config.Tensors.Vision!;

    /// <summary>A checkpoint's tower.</summary>
    public ReferenceTower(Checkpoint checkpoint)
        : this(checkpoint.Config, tensor => [.. checkpoint.Get(tensor).ReadFloats().Select(v => (double)v)])
    {
    }

    /// <summary>Computes a picture.</summary>
    public ReferencePicture Encode(PicturePatches picture, int first)
    {
        int rows = picture.Grid.Rows, columns = picture.Grid.Columns, merge = vision.Merge;
        // Squares of patches one after another, as the patches are given.
        (int Row, int Column)[] places =
        [
            .. from squareRow in Enumerable.Range(0, rows / merge)
               from squareColumn in Enumerable.Range(0, columns / merge)
               from row in Enumerable.Range(0, merge)
               from column in Enumerable.Range(0, merge)
               select (squareRow * merge + row, squareColumn * merge + column),
        ];
        double[][] x = [.. places.Select((place, i) =>
        {
            double[] embedded = Map(tensors.Patches, [.. picture.Values.AsSpan(i * vision.PatchValues, vision.PatchValues).ToArray().Select(v => (double)v)]);
            double[] position = Position((double)place.Row / Math.Max(1, rows - 1), (double)place.Column / Math.Max(1, columns - 1));
            return embedded.Zip(position, (a, b) => a + b).ToArray();
        })];
        List<double[][]> levels = [];
        for (int block = 0; block < vision.Layers; block++)
        {
            var own = tensors.Block(block);
            double[][] attended = Attention(own, [.. x.Select(row => Norm(own.AttentionNorm, row))], places);
            x = [.. x.Zip(attended, (a, b) => a.Zip(b, (p, q) => p + q).ToArray())];
            x = [.. x.Select(row => row.Zip(Map(own.Mlp.Down, [.. Map(own.Mlp.Up, Norm(own.Mlp.Norm, row)).Select(TanhGelu)]), (p, q) => p + q).ToArray())];
            if (vision.DeepLayers.Contains(block))
                levels.Add(Merged(tensors.DeepMerger(levels.Count), x, behind: true));
        }

        return new ReferencePicture(first, rows / merge, columns / merge, [Merged(tensors.Merger, x, behind: false), .. levels]);
    }

    // The norm is over a patch's row, or behind the joining over all of a square.
    private double[][] Merged(NormedMlpTensors merger, double[][] x, bool behind) =>
    [
        .. x.Chunk(vision.Merge * vision.Merge).Select(square =>
        {
            double[] joined = behind ? Norm(merger.Norm, [.. square.SelectMany(row => row)]) : [.. square.SelectMany(row => Norm(merger.Norm, row))];
            return Map(merger.Down, [.. Map(merger.Up, joined).Select(Gelu)]);
        }),
    ];

    private double[][] Attention(VisionBlockTensors own, double[][] x, (int Row, int Column)[] places)
    {
        int width = vision.HiddenSize, size = width / vision.Heads;
        float[] frequencies = vision.InverseFrequencies();
        double[][] projected = [.. x.Select(row => Map(own.QueryKeyValue, row))];
        for (int i = 0; i < x.Length; i++)
        {
            for (int head = 0; head < 2 * vision.Heads; head++)
            {
                for (int pair = 0; pair < size / 2; pair++)
                {
                    double angle = (pair < size / 4 ? places[i].Row : places[i].Column) * (double)frequencies[pair];
                    ref double a = ref projected[i][head * size + pair], b = ref projected[i][head * size + pair + size / 2];
                    (a, b) = (a * Math.Cos(angle) - b * Math.Sin(angle), b * Math.Cos(angle) + a * Math.Sin(angle));
                }
            }
        }

        return [.. projected.Select(query =>
        {
            double[] joined = new double[width];
            for (int head = 0; head < vision.Heads; head++)
            {
                double[] weights = [.. projected.Select(key => Math.Exp(Enumerable.Range(0, size).Sum(d => query[head * size + d] * key[width + head * size + d]) / Math.Sqrt(size)))];
                for (int d = 0; d < size; d++)
                    joined[head * size + d] = projected.Select((value, j) => weights[j] * value[2 * width + head * size + d]).Sum() / weights.Sum();
            }

            return Map(own.Output, joined);
        })];
    }

    // Bilinear between the four nearest of the grid; both from 0 to 1.
    private double[] Position(double down, double along)
    {
        var all = values(tensors.Positions);
        int side = vision.GridSide;
        double y = down * (side - 1), x = along * (side - 1);
        double[] sum = new double[vision.HiddenSize];
        for (int row = 0; row < side; row++)
        {
            for (int column = 0; column < side; column++)
            {
                double weight = Math.Max(0, 1 - Math.Abs(y - row)) * Math.Max(0, 1 - Math.Abs(x - column));
                for (int d = 0; weight > 0 && d < sum.Length; d++)
                    sum[d] += weight * all[(row * side + column) * sum.Length + d];
            }
        }

        return sum;
    }

    private double[] Map(BiasedTensors map, double[] x)
    {
        IReadOnlyList<double> weights = values(map.Weight), bias = values(map.Bias);
        return [.. bias.Select((b, o) => b + x.Select((v, i) => v * weights[o * x.Length + i]).Sum())];
    }

    private double[] Norm(BiasedTensors norm, double[] x)
    {
        IReadOnlyList<double> weights = values(norm.Weight), bias = values(norm.Bias);
        double mean = x.Average(), deviation = Math.Sqrt(x.Average(v => (v - mean) * (v - mean)) + Epsilon);
        return [.. x.Select((v, i) => weights[i] * (v - mean) / deviation + bias[i])];
    }

    private static double TanhGelu(double x) => x / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

    // The normal distribution's integral by Simpson's rule: another way than the engine's.
    private static double Gelu(double x)
    {
        const int steps = 200;
        double end = Math.Clamp(x, -10, 10), step = end / steps, sum = 0;
        for (int i = 0; i <= steps; i++)
            sum += (i is 0 or steps ? 1 : i % 2 == 1 ? 4 : 2) * Math.Exp(-(i * step) * (i * step) / 2);
        return x * (0.5 + sum * step / 3 / Math.Sqrt(2 * Math.PI));
    }
}
