using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;

namespace DualSparse.Kernels.Jit;

/// <summary>A kernel whose machine code was written at run time.</summary>
/// <exception cref="KernelRefusedException">The system gives no executable memory.</exception>
internal unsafe class EmittedKernel(string name, WeightFormat weights, ActivationFormat activations, EmittedFunction function, RateLoop ceiling)
    : PanelKernel(name, weights, activations)
{
    private readonly delegate* unmanaged<PanelArgs*, void> code = KernelCompiler.Compile(function);

    public override void Multiply(in PanelArgs args)
    {
        // The emitted loops count down to zero from at least one step.
        if (args.Inputs == 0)
        {
            new Span<float>(args.Result, checked((int)(args.PanelCount * args.RowCount) * PanelLayout.Columns)).Clear();
            return;
        }

        // A copy, since the function modifies it.
        var copy = args;
        code(&copy);
    }

    public override long RunCeiling(int rounds) => ceiling.Run(rounds);
}
