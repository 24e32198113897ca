using System.Diagnostics;
using DualSparse.Benchmarking;
using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Threading;
using Microsoft.ML.OnnxRuntime;

namespace DualSparse.Benchmarks.Ort;

/// <summary>
/// OLMoE's layer compared with ONNX Runtime's QMoE, alternating round by round in one process: the same weights, inputs, router logits and
/// number of threads. Each round runs through layers with more than 10⁹ bytes of distinct weights. Medians over the rounds.
/// </summary>
internal static class QMoeBenchmark
{
    private const long WorkingSet = 1_000_000_000;
    private const int CheckedTokens = 8;

    // Activations are rounded to int8 or int16, differently on the two sides: a percent or two. A wrong layout would differ by about 100 %.
    private const double Tolerance = 0.05;

    public static int Run(string[] args)
    {
        if (QMoeOptions.Parse(args) is not { } options)
        {
            Console.Error.WriteLine(QMoeOptions.Usage);
            return 1;
        }

        string command = "dotnet run -c Release --project benchmarks/DualSparse.Benchmarks -- " + string.Join(' ', args.Prepend("ort"));
        var page = new QMoePage(options, command);
        try
        {
            foreach (var format in options.Formats)
                Measure(options, format, page);
        }
        catch (Exception e) when (e is InvalidOperationException or OnnxRuntimeException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }

        if (options.Save is { } folder)
            Console.WriteLine($"written: {page.Save(folder)}");
        return 0;
    }

    private static void Measure(QMoeOptions options, WeightFormat format, QMoePage page)
    {
        var shape = LayerShape.Named("olmoe");
        long weights = 3L * shape.Experts * shape.Hidden * shape.Neurons * (format == WeightFormat.Int4 ? 4 : 8) / 8;
        int layers = (int)((WorkingSet + weights - 1) / weights);
        using var team = new ThreadTeam(options.Threads);
        using var work = new Workspace(team, KernelSet.Best());
        using var session = new SessionOptions { IntraOpNumThreads = options.Threads, InterOpNumThreads = 1 };
        session.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        var pairs = new List<LayerPair>();
        try
        {
            for (int l = 0; l < layers; l++)
            {
                pairs.Add(new LayerPair(shape, format, session, l));
                // Frees what the session was made from, half a gigabyte each time.
                GC.Collect();
            }

            double difference;
            using (var check = new QMoeCall(shape, CheckedTokens, layers))
                difference = check.Difference(work, pairs);
            if (!(difference < Tolerance))
                throw new InvalidOperationException($"the two outputs differ by {difference:p0}, expected less than {Tolerance:p0}: they don't compute the same layer");
            page.Begin(format, work.Kernels[format], layers, layers * weights, difference);
            foreach (int tokens in options.Tokens)
            {
                // At one token a round has many tokens, each with its own experts.
                using var call = new QMoeCall(shape, tokens, tokens == 1 ? 8 * layers : layers);
                List<double> ours = [], theirs = [];
                for (int round = -1; round < options.Rounds; round++)
                {
                    double first = Time(() => call.Ours(work, pairs)), second = Time(() => call.Theirs(pairs));
                    // The first round compiles and allocates.
                    if (round < 0)
                        continue;
                    ours.Add(first / call.Steps);
                    theirs.Add(second / call.Steps);
                }

                page.Add(tokens, 6.0 * shape.Hidden * shape.Neurons * shape.TopK * tokens, ours, theirs);
            }
        }
        finally
        {
            pairs.ForEach(p => p.Dispose());
        }
    }

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
